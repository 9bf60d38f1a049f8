"""What the benches share: the machine, the filters under load, and the parts of the table."""
