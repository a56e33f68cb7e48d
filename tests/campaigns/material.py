"""What the campaigns feed, and what must come of it: a sample with repetitions, contradictions and garbage.

The outcome is known from how the material was made, not from the product: which texts may be stored under an
envelope id, and which bytes must be in the quarantine under which code.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

from projections.cli.sample import sample_envelopes

ITEM_BYTES_MAX = 20_000

Kind = Literal["envelope", "ignored", "garbage"]


@dataclass(frozen=True)
class Line:
    """One item of a file. Of garbage, `code` says under which code it must be quarantined."""

    kind: Kind
    text: bytes
    event_id: int = 0
    code: str = ""
    is_json: bool = True


@dataclass
class Material:
    """Files for each writer, in the order in which they are released.

    Attributes:
        contents: by envelope id the different contents it was sent with; each content is the texts that say it.
            Of more than one content the first that arrives is stored, and every text of the others is a conflict.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    lines: dict[Path, list[Line]] = field(default_factory=dict)
    contents: dict[int, list[list[bytes]]] = field(default_factory=dict)
    garbage: dict[bytes, str] = field(default_factory=dict)

    def all_lines(self) -> Iterator[Line]:
        for lines in self.lines.values():
            yield from lines


def make_material(folder: Path, writers: list[str], *, envelopes: int, files: int, seed: int) -> Material:
    """Writes the files: each writer gets about two thirds of everything, shuffled, so that half of it overlaps."""
    rng = Random(seed)
    material = Material()
    every: list[Line] = []
    for text in sample_envelopes(envelopes, seed=seed):
        every += _deliveries(rng, material, json.loads(text), text.encode())
    every += _garbage(rng, material, max(20, envelopes // 50))
    for writer in writers:
        part = [line for line in every if rng.random() < 2 / 3]
        if writer == writers[-1]:  # nobody else may have had these
            sent = {line.text for lines in material.lines.values() for line in lines}
            part += [line for line in every if line.text not in sent]
        rng.shuffle(part)
        material.files[writer] = list(_write(rng, material, folder / writer, part, files))
    return material


def _deliveries(rng: Random, material: Material, envelope: dict[str, Any], text: bytes) -> Iterator[Line]:
    """An envelope, sometimes sent twice in other words, sometimes contradicted."""
    event_id = int(envelope["id"])
    same = [text]
    contents = [same]
    chance = rng.random()
    if chance < 0.05:
        again = {**envelope, "status": "PUBLISHED", "processorNodeId": None, "updatedAt": None}
        again["eventData"] = dict(reversed(envelope["eventData"].items()))
        same.append(json.dumps(again, ensure_ascii=False).encode())
    if 0.03 < chance < 0.07:
        contents.append([_changed(envelope, title=f"another title {rng.randrange(10**9)}")])
    if 0.06 < chance < 0.08:
        contents.append([_changed(envelope, id=f"another appointment {rng.randrange(10**9)}")])
    material.contents[event_id] = contents
    for content in contents:
        for one in content:
            yield Line("envelope", one, event_id)


def _changed(envelope: dict[str, Any], **fields: str) -> bytes:
    data = envelope["eventData"]
    changed = {**envelope, "eventData": {**data, "appointment": {**data["appointment"], **fields}}}
    return json.dumps(changed, ensure_ascii=False).encode()


def _garbage(rng: Random, material: Material, count: int) -> Iterator[Line]:
    samples = [json.loads(text) for text in sample_envelopes(50, seed=rng.randrange(2**31))]
    for number in range(count):
        envelope = rng.choice(samples)
        match number % 6:
            case 0:
                text, code = b'{"id": %d, "createdAt": "2023-' % number, "malformed_json"
            case 1:
                text, code = _changed(envelope, status=f"PERHAPS {number}"), "invalid_envelope"
            case 2:
                text, code = _changed(envelope, startDate=f"tomorrow {number}"), "invalid_envelope"
            case 3:
                data = {**envelope["eventData"], "version": 2 + number}
                text, code = json.dumps({**envelope, "eventData": data}).encode(), "unsupported_version"
            case 4:
                text, code = _changed(envelope, description=f"{number} " + "x" * ITEM_BYTES_MAX), "too_large"
            case _:
                other = {"id": number, "eventName": f"SomethingElseHappened{number}", "eventData": None}
                yield Line("ignored", json.dumps(other).encode())
                continue
        material.garbage[text] = code
        yield Line("garbage", text, code=code, is_json=code != "malformed_json")


def _write(rng: Random, material: Material, folder: Path, part: list[Line], files: int) -> Iterator[Path]:
    folder.mkdir(parents=True)
    for number in range(files):
        lines = part[number::files]
        form = rng.choice(("jsonl", "jsonl", "jsonl.gz", "json"))
        if form == "json" and not all(line.is_json for line in lines):
            form = "jsonl"
        texts = [line.text for line in lines]
        content = b"[" + b",\n".join(texts) + b"]" if form == "json" else b"\n".join(texts) + b"\n"
        path = folder / f"{number:05}.{form}"
        path.write_bytes(gzip.compress(content, 1) if form.endswith("gz") else content)
        material.lines[path] = lines
        yield path
