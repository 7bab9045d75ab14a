/* Guest text on its way to xenner. */
#include "emu.h"

u8 *message_page(void)
{
    return machine(boot.message);
}

/* Guest console output, page by page. */
s64 console_write(word address, word bytes)
{
    word written = 0;
    while (written < bytes) {
        word chunk = bytes - written;
        if (chunk > PAGE_SIZE)
            chunk = PAGE_SIZE;
        if (!copy_from_guest(message_page(), address + written, chunk))
            return -XEN_EFAULT;
        port_write(PORT_CONSOLE_WRITE, (u32)chunk);
        written += chunk;
    }
    return 0;
}
