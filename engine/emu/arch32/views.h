/* emu32pae: emu's region of machine memory, and windows of a page on the rest. */
static inline void *machine(u64 address)
{
    return (void *)(REGION_VIRTUAL + (u32)(address - boot.region_base));
}

void *view(enum view purpose, u64 mfn);

static inline void *view_at(enum view purpose, u64 address)
{
    return (u8 *)view(purpose, address >> PAGE_SHIFT) + (address & (PAGE_SIZE - 1));
}

/* For as long as the guest lives: nothing else is seen for this purpose. */
static inline void *view_for_ever(u64 address)
{
    return view_at(VIEW_VCPU_INFO, address);
}
