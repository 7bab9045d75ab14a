/* The callbacks of a 32-bit guest; a part of bounce.c. */

s64 do_set_callbacks(u32 event_cs, u32 event, u32 failsafe_cs, u32 failsafe)
{
    register_callback(CALLBACKTYPE_event, (xen_callback_t){event_cs, event}, true);
    register_callback(CALLBACKTYPE_failsafe, (xen_callback_t){failsafe_cs, failsafe}, false);
    return 0;
}
