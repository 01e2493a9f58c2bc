/** What Kubernetes calls ObjectMeta, as far as a rule that somebody writes has it. */
export interface ObjectMeta {
  readonly name: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
