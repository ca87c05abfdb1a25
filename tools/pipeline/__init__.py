"""A chain of commands from one file: what is up to date is skipped, what changed is done again.

`document` reads the file, `commands` turns the options of a step into the command line of its command, `plan`
connects the steps, `state` remembers what was made from what, `freshness` tells whether that is still so,
`running` runs a step, `chain` all of them, and `watch` does so again whenever files are added.
"""
