/**
 * Configuration behind the policy of the face. A document that the caller may not read is refused, whether it is there
 * or not.
 */
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { ConfigBackend, ConfigKey, StoredConfig } from '../server/backend.ts'
import { callerName, type Caller } from '../../../guard/caller.ts'
import { NacosFault } from '../server/fault.ts'
import type { FaceDeps } from './face-deps.ts'
import type { MeshConfig } from './mesh-config.ts'
import { holderOf, readProblem, writeProblem } from '../../../guard/face-policy.ts'

export class GuardedConfig implements ConfigBackend {
  private readonly config: MeshConfig
  private readonly deps: Pick<FaceDeps, 'policy' | 'servicesOfUser' | 'metrics' | 'log'>

  constructor(config: MeshConfig, deps: Pick<FaceDeps, 'policy' | 'servicesOfUser' | 'metrics' | 'log'>) {
    this.config = config
    this.deps = deps
  }

  async read(key: ConfigKey, caller: Caller): Promise<StoredConfig | undefined> {
    this.checkRead(key, caller)
    return await this.config.read(key)
  }

  async publish(
    key: ConfigKey,
    content: string,
    type: string,
    casMd5: string | undefined,
    caller: Caller,
  ): Promise<boolean> {
    this.checkWrite(key, caller)
    return await this.config.publish(key, content, type, casMd5)
  }

  async remove(key: ConfigKey, caller: Caller): Promise<void> {
    this.checkWrite(key, caller)
    await this.config.remove(key)
  }

  watch(key: ConfigKey, md5Now: string, onChange: (md5: string) => void, caller: Caller): Subscription {
    this.checkRead(key, caller)
    return this.config.watch(key, md5Now, onChange, holderOf(this.deps.policy(), caller))
  }

  list(): undefined {
    return undefined
  }

  private checkRead(key: ConfigKey, caller: Caller): void {
    const deps = this.deps
    const owned = caller.uid === undefined ? [] : deps.servicesOfUser(caller.uid, key.namespace)
    const problem = readProblem(deps.policy(), caller, key, owned)
    if (problem !== undefined) throw this.denied(caller, 'read', problem)
  }

  private checkWrite(key: ConfigKey, caller: Caller): void {
    const problem = writeProblem(this.deps.policy(), caller, key)
    if (problem !== undefined) throw this.denied(caller, 'write', problem)
  }

  private denied(caller: Caller, what: 'read' | 'write', problem: string): NacosFault {
    this.deps.metrics.count('nacos_face_denied', { what: `document ${what}` })
    this.deps.log.warn({ caller: callerName(caller) }, `nacos face: refused: ${problem}`)
    return new NacosFault('denied', problem)
  }
}
