/** The one list of protocol names: what applications speak, and what the live connections of callers speak. */

/** What an application speaks, and so what a listener accepts for it. */
export const appProtocols = ['http', 'tcp'] as const
export type AppProtocol = (typeof appProtocols)[number]

/** What the connection of a caller speaks. A `websocket` was an `http1` connection before its upgrade. */
export const connectionProtocols = ['http1', 'tcp', 'websocket'] as const
export type ConnectionProtocol = (typeof connectionProtocols)[number]

/** What a connection begins with on a listener for an application's protocol. */
export const firstProtocol: Readonly<Record<AppProtocol, ConnectionProtocol>> = { http: 'http1', tcp: 'tcp' }
