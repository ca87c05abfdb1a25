"""What trainers read: which clips a trainer would use, and why not the others.

`models` has what models accept, `trainers` what each trainer does with a file, `explain` both over many
clips.
"""
