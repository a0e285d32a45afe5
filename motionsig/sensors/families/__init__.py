"""What each family of chips has in common, one file each: `CHIPS`, a table of `motionsig.sensors.chips.Chip`."""
