#include "byunique/settling.h"

/* Up by a step that a refusal is worth, down slowly: each test of whether less would do may cost a refusal. */
int64_t settling_learn(int64_t settling_us, int64_t sent_after_us, bool refused)
{
	enum { STEP_US = 2000, NEAR_US = 1000, SLOWLY = 32 };

	if (refused && sent_after_us < SETTLING_MOST_US)
		settling_us = sent_after_us + STEP_US;
	else if (!refused && sent_after_us < settling_us + NEAR_US) /* later ones prove nothing */
		settling_us -= settling_us / SLOWLY;
	return settling_us < SETTLING_MOST_US ? settling_us : SETTLING_MOST_US;
}
