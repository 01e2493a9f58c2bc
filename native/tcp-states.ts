/**
 * States of TCP sockets as Linux numbers them (net/tcp_states.h): in sock_diag, in `struct tcp_info`, and in
 * hexadecimal in /proc/net/tcp.
 */

/** ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: both ends are there, though one may have nothing more to say. */
export const connectedStates: ReadonlySet<number> = new Set([1, 4, 5, 8])

export const listenState: ReadonlySet<number> = new Set([10])
