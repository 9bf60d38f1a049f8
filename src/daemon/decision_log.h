/* A sink of decisions that writes each as a line of the log. */
#ifndef DAEMON_DECISION_LOG_H
#define DAEMON_DECISION_LOG_H

#include "batv/decision.h"

/* The sink; self is unused. Any thread. */
void decision_log(void *self, const struct decision *decision);

#endif
