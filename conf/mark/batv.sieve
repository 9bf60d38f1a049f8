# What batvd has marked, by verify.action = "mark" or an action of a class or domain, goes to a folder
# of its own: bounces, by their null sender, since on other mail the field means nothing. For
# dovecot: sieve_before in conf.d/90-sieve.conf names this file, and sievec compiles it.
#
# The field is "RESULT; class=CLASS; proof=PROOF; rcpt=<ADDRESS>", see verify.mark_header in
# batvd.conf(5). What proves that it answers mail of yours has no mark.
require ["envelope", "fileinto", "mailbox"];

if allof (envelope :is "from" "",
          header :matches "X-Batv-Result" "*; class=*; proof=*; rcpt=<*>")
{
    fileinto :create "Forged bounces";
    stop;
}
