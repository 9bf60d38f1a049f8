"""What the integration tests are built from.

postfix   a private Postfix in a folder of its own
sendmail  a private Sendmail, with an /etc of its own
sink      the far end: an SMTP server that remembers exactly what it was told
daemon    batvd and batvctl with a configuration of their own, in a time of their own
site      these three together, as an administrator would set them up
traffic   senders that go on while something happens to the filter
milter    the MTA's half of the milter protocol, for conversations no MTA would have
answers   bounces, read receipts and other replies, as other people's programs write them
dkim      OpenDKIM as another milter, and as the judge of signatures
tag       a second opinion on tags, written from the format alone
evidence  the same on the evidence header
util      bounded waiting, ports, processes
"""
