import { defaultTrafficPolicy } from '../../../../contracts/policy-spec.ts'
import type { TrafficPolicySpec } from '../../../../contracts/policy-spec.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'

/** Of a path inside a resource. */
export type OriginAt = (path: string) => RuleOrigin

type Mutable<T> = T extends readonly (infer U)[]
  ? U[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T

type MutablePolicy = { -readonly [K in keyof TrafficPolicySpec]: TrafficPolicySpec[K] }

/** A policy being built. */
export class PolicyDraft {
  readonly policy: MutablePolicy
  private readonly origins: Record<string, RuleOrigin> = {}

  constructor() {
    this.policy = { ...defaultTrafficPolicy, pool: { ...defaultTrafficPolicy.pool } }
  }

  set<K extends keyof TrafficPolicySpec>(key: K, value: TrafficPolicySpec[K], origin: RuleOrigin): void {
    this.policy[key] = value
    this.note(key, origin)
  }

  setPool(values: Partial<Mutable<TrafficPolicySpec['pool']>>, origins: Readonly<Record<string, RuleOrigin>>): void {
    this.policy.pool = { ...this.policy.pool, ...values }
    for (const [key, origin] of Object.entries(origins)) this.note(`pool.${key}`, origin)
  }

  /** Whether a rule has said it. */
  has(path: string): boolean {
    return Object.hasOwn(this.origins, path)
  }

  note(path: string, origin: RuleOrigin): void {
    this.origins[path] = origin
  }

  build(): TrafficPolicySpec {
    return { ...this.policy, origins: this.origins }
  }
}
