/** A registry that runs for a test or a measurement, filled and changed by other means than the adapter's. */
export interface Instance {
  readonly address: string
  readonly port: number
  readonly weight: number
}

export interface RunningRegistry {
  readonly name: string
  /** What stands behind it. */
  readonly what: string
  /** From which changes are told; 0 = it has none. */
  readonly port: number
  /** Section of `agent.yaml`. */
  readonly section: object
  /** The same by way of another port of this machine. */
  sectionBy(port: number): object | Promise<object>
  /** Whether a change is told over a connection, not found out at the end of a time. */
  readonly isPushing: boolean
  /** Writes one instance, and resolves when the registry has taken it. */
  put(service: string, instance: Instance): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}
