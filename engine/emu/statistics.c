/*
 * Counts hypercalls and what they cost. A call is charged from the entry of emu, or from the end of the call before it
 * in the same entry (batches, multicalls), to its own end; the first one pays for the way out, too.
 */
#define ABI_STATISTICS_TABLES
#include "emu.h"

struct statistics *statistics;

static struct statistics_row *row;
static u64 start;
static u64 ports_at_start;

void count_trap(enum trap_kind kind)
{
    statistics->traps[kind]++;
}

static struct statistics_row *find_row(const struct statistics_group *group, u64 subop)
{
    struct statistics_row *rows = (struct statistics_row *)statistics->rows;
    u8 offset = group->other;
    subop &= group->mask;
    if (subop < group->subops && group->rows[subop] != NO_ROW)
        offset = group->rows[subop];
    return &rows[group->first + offset];
}

void calls_begin(void)
{
    statistics->kernel_entries++;
    ports_at_start = statistics->port_accesses;
    start = read_tsc() - EDGE_INSTRUCTIONS;
}

/* The call that runs from here on. Requests of a batch name themselves by call_request. */
void call_is(word number, word arg1, word arg3)
{
    if (number >= 64 || statistics_groups[number].first == 0) {
        row = (struct statistics_row *)statistics->rows;
        return;
    }
    const struct statistics_group *group = &statistics_groups[number];
    switch (group->source) {
    case SUBOP_ARG1:
        row = find_row(group, arg1);
        break;
    case SUBOP_ARG3:
        row = find_row(group, arg3);
        break;
    default:
        row = (struct statistics_row *)statistics->rows + group->first + group->other;
    }
}

void call_request(u64 number, u64 subop)
{
    row = find_row(&statistics_groups[number], subop);
}

/* The current call is over. */
void call_done(s64 result)
{
    u64 now = read_tsc();
    row->calls++;
    row->by_port += statistics->port_accesses != ports_at_start;
    row->errors += result < 0 && result > -4096;
    row->instructions += now - start;
    ports_at_start = statistics->port_accesses;
    start = now;
}

/* A call that was counted already has failed after all. */
void call_failed(u64 number)
{
    find_row(&statistics_groups[number], 0)->errors++;
}

/* Halted time is not spent. */
void exclude_idle(u64 ticks)
{
    statistics->idle_ticks += ticks;
    start += ticks;
}
