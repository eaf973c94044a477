"""A model over files far larger than memory: `score_files`, which `jenga score` calls.

The files are cut into chunks, a chunk's rows with their predictions become one part file, and a part appears whole or not at
all. What is done is known from the folder alone, so a worker that was killed is started again, and several workers share the
work by their numbers, on one machine or on many with one file system. `work.py` says what is to be done, `parts.py` what the
folder holds, `pipeline.py` how rows flow from a file to a part.
"""

from .pipeline import score_files

__all__ = ["score_files"]
