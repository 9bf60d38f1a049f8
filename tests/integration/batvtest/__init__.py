"""What the integration tests are built from.

postfix   a private Postfix in a folder of its own
sink      the far end: an SMTP server that remembers exactly what it was told
daemon    batvd and batvctl with a configuration of their own, in a time of their own
site      these three together, as an administrator would set them up
traffic   senders that go on while something happens to the filter
milter    the MTA's half of the milter protocol, for conversations no MTA would have
tag       a second opinion on tags, written from the format alone
util      bounded waiting, ports, processes
"""
