# Files bounces that batvd has marked (verify.action = "mark", or that action for a class or domain) in
# their own folder. It tests for the null sender, since on other mail the field means nothing. For
# Dovecot: name this file as sieve_before in conf.d/90-sieve.conf, and compile it with sievec.
#
# The field is "RESULT; class=CLASS; proof=PROOF; rcpt=<ADDRESS>", see verify.mark_header in
# batvd.conf(5). A bounce with a proof that it answers your mail has no mark.
require ["envelope", "fileinto", "mailbox"];

if allof (envelope :is "from" "",
          header :matches "X-Batv-Result" "*; class=*; proof=*; rcpt=<*>")
{
    fileinto :create "Backscatter";
    stop;
}
