/** A control plane in this process that says what a test says, to whoever asks. */
import type { Resource } from './control-plane.ts'
import { EnvoyResources } from './envoy-resources.ts'
import { StubPlane, type Say, type StubRequest } from './stub-plane.ts'

const byName: ReadonlySet<string> = new Set(['ClusterLoadAssignment', 'RouteConfiguration'])

export class SaidPlane {
  private readonly encoder = new EnvoyResources()
  private resources: readonly { type: string; name: string; bytes: Buffer }[] = []
  private version = 0
  /** By type: what was asked for last, by the newest stream. */
  private readonly asked = new Map<string, readonly string[]>()
  private plane: StubPlane | undefined

  static async start(): Promise<SaidPlane> {
    const said = new SaidPlane()
    said.plane = await StubPlane.start((request, say) => said.answer(request, say))
    return said
  }

  get port(): number {
    return this.plane!.port
  }

  get requests(): StubRequest[] {
    return this.plane!.requests
  }

  say(resources: readonly Resource[]): void {
    this.resources = resources.map((one) => {
      const { bytes, type } = this.encoder.encode(one)
      return { type: type.slice(type.lastIndexOf('.') + 1), name: String(one['name'] ?? one['clusterName']), bytes }
    })
    this.version++
    for (const [type, names] of this.asked) this.plane!.say(type, this.of(type, names), String(this.version))
  }

  /** Refusals of clusters, endpoints, listeners or routes (`Cluster`). */
  refusals(type: string): readonly string[] {
    return this.requests.flatMap((one) => (one.error !== undefined && one.type === type ? [one.error] : []))
  }

  /** Nobody asked yet. */
  forget(): void {
    this.asked.clear()
    this.requests.length = 0
  }

  close(): void {
    this.plane?.close()
  }

  private answer({ names, nonce, type }: StubRequest, say: Say): void {
    const before = this.asked.get(type)
    this.asked.set(type, names)
    const isNews = nonce === '' || names.some((name) => before?.includes(name) !== true)
    if (isNews && this.version > 0) say(type, this.of(type, names), String(this.version))
  }

  private of(type: string, names: readonly string[]): Buffer[] {
    return this.resources.flatMap((one) =>
      one.type === type && (!byName.has(type) || names.includes(one.name)) ? [one.bytes] : [],
    )
  }
}
