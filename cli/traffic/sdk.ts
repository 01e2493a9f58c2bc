/** An application that links the SDK, and leaves the mesh and comes back while it calls. It does not repeat calls. */
import { mkdirSync } from 'node:fs'
import { headers } from '../../contracts/words.ts'
import { createMesh } from '../../sdk/index.ts'
import type { Mesh, Mode, ActiveMode } from '../../sdk/index.ts'
import type { Caller } from './callers.ts'
import { eventually } from './first-answer.ts'
import { type Pace, PacedCalls, callTimeoutMs } from './paced-calls.ts'
import type { Tally } from './tally.ts'

export interface SdkCallerOptions extends Pace {
  readonly from: string
  readonly to: string
  /** Where its agent answers, `host:port`. */
  readonly agent: string
  /** Address of the Nacos server that it asks itself while it is out. */
  readonly registry: string
  /** Made where it is not there. */
  readonly dataDirectory: string
}

export class SdkCaller implements Caller {
  readonly from: string
  readonly to: string
  readonly how = 'SDK'
  readonly tally: Tally
  private readonly mesh: Mesh
  private readonly calls: PacedCalls

  private constructor(options: SdkCallerOptions, mesh: Mesh) {
    this.from = options.from
    this.to = options.to
    this.mesh = mesh
    this.calls = new PacedCalls(options, (settle) => {
      const signal = AbortSignal.timeout(callTimeoutMs)
      mesh.fetch(`http://${this.to}/demo`, { signal }).then(
        async (reply) => {
          await reply.arrayBuffer()
          settle({
            isGood: reply.status === 200,
            tier: reply.headers.get(headers.tier) ?? 'none',
            version: reply.headers.get('x-demo-version') ?? '',
            reason: reply.status === 200 ? '' : `${reply.status} ${reply.headers.get(headers.error) ?? ''}`.trim(),
          })
        },
        (error: unknown) => settle({ isGood: false, reason: reasonOf(error) }),
      )
    })
    this.tally = this.calls.tally
  }

  /** Resolves with the first good answer; E_UPSTREAM_TIMEOUT when there is none after 20 s. */
  static async start(options: SdkCallerOptions): Promise<SdkCaller> {
    mkdirSync(options.dataDirectory, { recursive: true, mode: 0o700 })
    const mesh = createMesh({
      application: options.from.split('@')[0]!,
      dataDirectory: options.dataDirectory,
      agent: options.agent,
      mode: 'mesh',
      nacos: { servers: [options.registry], allowLoopbackEndpoints: true },
    })
    const first = async (): Promise<boolean> => {
      const reply = await mesh.fetch(`http://${options.to}/demo`, { signal: AbortSignal.timeout(callTimeoutMs) })
      await reply.arrayBuffer()
      return reply.status === 200
    }
    await eventually(`${options.to} by the SDK`, () => first().catch(() => false))
    return new SdkCaller(options, mesh)
  }

  /** Takes effect when the other mode can serve. */
  setMode(mode: Mode): void {
    this.mesh.setMode(mode)
  }

  /** The mode in force for the service; undefined before the first call. */
  get activeMode(): ActiveMode | undefined {
    return this.mesh.status().services.find(({ name }) => name.endsWith(this.to))?.activeMode
  }

  takePeak(): number {
    return this.calls.takePeak()
  }

  stop(): void {
    this.calls.stop()
    void this.mesh.close()
  }
}

/** Of an undici error the cause says what happened. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  const { code, message: why } = (cause ?? error) as NodeJS.ErrnoException
  return code ?? why ?? message
}
