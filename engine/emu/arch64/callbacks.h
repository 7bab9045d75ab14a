/* The callbacks of a 64-bit guest; a part of bounce.c. */

s64 do_set_callbacks(u64 event, u64 failsafe, u64 syscall)
{
    if (!is_canonical(event) || !is_canonical(failsafe) || !is_canonical(syscall))
        return -XEN_EINVAL;
    register_callback(CALLBACKTYPE_event, event, true);
    register_callback(CALLBACKTYPE_failsafe, failsafe, false);
    register_callback(CALLBACKTYPE_syscall, syscall, false);
    return 0;
}
