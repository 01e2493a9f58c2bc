/** SOFA's mesh API of this host, while it is switched on. */
import type { LocalCallers } from '../../../../guard/local-callers.ts'
import { formatHostPort } from '../../config/scalars.ts'
import type { Control } from '../../control.ts'
import { KeptPort } from '../../kept-port.ts'
import { sofaFaceAddress } from '../../kinds/sofa-face.ts'
import type { LeadingPart } from '../../leading-part.ts'
import { facePolicy } from '../face-policy.ts'
import type { FaceServer } from './face-server.ts'

const sweepMs = 10_000

export class LocalSofa implements LeadingPart {
  private readonly control: Control
  private readonly callers: LocalCallers
  private server: FaceServer | undefined
  private port: KeptPort | undefined
  private cancelSweep: (() => void) | undefined
  private isClosed = false

  constructor(control: Control, callers: LocalCallers) {
    this.control = control
    this.callers = callers
  }

  async open(): Promise<void> {
    const { callers, control } = this
    const { config, deps } = control
    const address = sofaFaceAddress(config.sofaFace)
    const isLeftOver = control.host.registrar.applications().some(({ source }) => source === 'sofa')
    if (address === undefined && !isLeftOver) return
    // loaded only where it is used
    const { Publications } = await import('./publications.ts')
    const policy = facePolicy(config, deps.uidOf, (message) => deps.log.warn({}, message))
    const publications = new Publications(control, callers, policy)
    // nobody could take them back any more
    if (address === undefined) return publications.clear()
    const { FaceServer } = await import('./face-server.ts')
    const { sofaOperations } = await import('./operations.ts')
    const server = (this.server ??= new FaceServer({
      operations: sofaOperations({
        publications,
        names: control.core.names,
        address: config.sofaFace.address,
        boltPort: config.sofaFace.boltPort,
      }),
      uidOf: (socket) => callers.uidOf(socket),
      log: deps.log,
      metrics: deps.metrics,
    }))
    const sweep = (): void => {
      if (this.isClosed) return
      this.cancelSweep = deps.clock.after(sweepMs, () => {
        publications.sweep(deps.clock.monotonic()).then(sweep, sweep)
      })
    }
    sweep()
    this.port = new KeptPort(`sofaFace ${formatHostPort(address)}`, () => server.listen(address), deps)
    await this.port.open()
  }

  faults(): string[] {
    return this.port?.problem === undefined ? [] : [this.port.problem]
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.port?.close()
    this.cancelSweep?.()
    await this.server?.close()
    this.server = undefined
  }
}
