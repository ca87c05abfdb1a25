"""Near-duplicates: copies of images and videos, found by perceptual hashes over time, or by CLIP features.

From a file to its duplicates, in this order: `stage` makes a `fingerprint` of each file; `hashing` and
`candidates` find pairs that may be duplicates; `alignment`, `registration` and `difference` verify them;
`selection` decides which duplicate is kept; `duplicates` puts these together for `inference`, the command.
`features` is the method clip.
"""
