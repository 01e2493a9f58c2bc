import { firstRawMajor, rawTransports } from './raw-handle.ts'
import type { Output } from './output.ts'
import { proveTransports } from './raw-self-test.ts'
import { publicTransports } from './public-socket.ts'
import type { Transports } from './transport.ts'

export interface SelectTransportsDeps {
  readonly output: Output
  /** `process.versions.node`. */
  readonly nodeVersion: string
  readonly warn: (message: string) => void
}

/** The fast transports where this Node is one they know and the self-test passes; the public ones otherwise, with one warning that says why. */
export async function selectTransports(deps: SelectTransportsDeps): Promise<Transports> {
  const major = Number.parseInt(deps.nodeVersion, 10)
  if (major !== firstRawMajor) {
    deps.warn(
      `node ${deps.nodeVersion}: fast transports are known to work on ${firstRawMajor} only; using public sockets`,
    )
    return publicTransports()
  }
  try {
    const transports = rawTransports(deps.output)
    await proveTransports(transports, deps.output)
    return transports
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    deps.warn(`node ${deps.nodeVersion}: self-test of the fast transports failed (${reason}); using public sockets`)
    return publicTransports()
  }
}
