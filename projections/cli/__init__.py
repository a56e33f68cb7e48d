"""The command line.

app           the table of commands; what an error prints and which exit status it gives
commands/     one module a command, named after it
options       the options that several commands share
terminal      tables, colours and progress bars for people, JSON for programs
telling       how a command tells how far it is: bars, or the log
writing       output that is written while it is read
timetable     schedules and appointments as text
explanation   why an item is in the quarantine, as text
sample        made-up envelopes for trying it out
interruption  signals           exits  exit statuses           version  --version
"""
