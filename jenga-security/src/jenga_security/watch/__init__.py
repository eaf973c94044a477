"""A model over a log that is being written: `jenga watch`.

`tail.py` follows the file through rotation and truncation, `rows.py` turns its lines into rows and keeps a bad line from
stopping the rest, `journal.py` remembers how far everything has come, `formats.py` says an alert as ECS, OCSF or CEF, and
`watcher.py` puts them together.
"""
