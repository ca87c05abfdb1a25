"""What failed in a run, grouped so that causes show; how to run it again, and how to report it.

`reading` finds the failures files of tables, `groups` counts, `text` shows, `retry` runs the command of a
table again, `bundle` packs a small reproduction.
"""
