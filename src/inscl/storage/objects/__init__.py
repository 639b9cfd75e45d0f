"""Runs, workspaces and grids on object storage, through fsspec (``s3://``, ``gs://``, ``az://``, ``memory://``).

Object storage can't rename and has no locks, so nobody works in it. A folder that is given as an address is worked on
in a local copy, which is an ordinary folder. At every commit point its files are uploaded under names that are never
given twice, and then one small object, the next *generation*, is created, which names them all:

```
s3://bucket/support/
  objects/<sha256>.<generation>         the bytes of a file; never changed
  generations/00000007.json             what the folder holds: path -> object, checksum, size
```

Whoever opens the address reads the generation with the highest number, so what they see is whole. An object that exists
can't be created again (``If-None-Match: *``), so of two writers one creates the next generation, and the other is told.
`inscl.storage.objects.generations` says why nothing that counts is ever deleted.
"""
