/* emu64: machine memory through the supervisor-only direct map, whatever the purpose. */
static inline void *machine(u64 address)
{
    return (void *)(DIRECT_MAP_VIRTUAL + address);
}

static inline void *machine_page(u64 mfn)
{
    return machine(mfn << PAGE_SHIFT);
}

#define view(purpose, mfn) machine_page(mfn)
#define view_at(purpose, address) machine(address)
/* For as long as the guest lives. */
#define view_for_ever(address) machine(address)
