// The other half of restart.c: many processes, and a run has its time.
#define SECOND_HALF
#include "restart.c"
