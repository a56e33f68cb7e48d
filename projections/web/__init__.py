"""The HTTP service: the same questions as JSON and as pages, intake, calendars and health. Needs the extra `web`."""
