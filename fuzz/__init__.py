"""What every parser is fed that it does not expect. One module is one target: its first line is the invariant, and
`once(dice)` is one round, which raises when the invariant does not hold. A new file here is found by itself."""
