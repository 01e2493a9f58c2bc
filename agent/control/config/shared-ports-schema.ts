import * as z from 'zod'

import { fileMode, flag, listenAddress, path, rpcProtocol, serviceName, socketProtocol, userName } from './scalars.ts'

/** One of `outbound.rpc`. */
export const outboundRpc = z.strictObject({
  protocol: rpcProtocol().describe(
    'What callers and endpoints speak; `auto` = each caller as its first bytes say: every private RPC, HTTP/1.1 or HTTP/2.',
  ),
  address: listenAddress().describe('Where local applications dial, `127.0.0.1:12200`.'),
})

/** One of `outbound.sockets`. */
export const outboundSocket = z.strictObject({
  path: path().describe('Of the unix socket, absolute or relative to the run directory; at most 107 bytes.'),
  protocol: socketProtocol()
    .prefault('http')
    .describe('What callers speak: `http` as at `outbound.http`, or a private RPC as at `outbound.rpc`.'),
  mode: fileMode().prefault('0660').describe('Permissions of the file: who may connect.'),
  user: userName().optional().describe('Owner of the file, a name of /etc/passwd or a number; absent = the agent.'),
  group: userName().optional().describe('Group of the file, a name of /etc/group or a number; absent = the agent’s.'),
  application: serviceName()
    .optional()
    .describe(
      'Whoever connects is this application: the file is for it alone. Absent = by the user of the connection.',
    ),
})

/** `outbound.tunnels` */
export const outboundTunnels = z.strictObject({
  sharedPort: flag()
    .prefault(false)
    .describe('`outbound.http` takes CONNECT and SOCKS5, beside HTTP; it must be a loopback address.'),
  address: listenAddress()
    .optional()
    .describe('A port of their own, `127.0.0.1:1080`, a loopback address; HTTP is served there, too. Absent = none.'),
})
