/** The resources of one source: the newest good version of each, and a status for each that was read. */
import { readResource } from './rule-resource.ts'
import type { ReadResource, RuleResource } from './rule-resource.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleDocument, RuleProblem, RuleStatus } from './types.ts'
import { readYamlResources } from './yaml-documents.ts'

/** What a status says before it is known who decides about the hosts. */
export interface StatusDraft extends Omit<RuleStatus, 'state' | 'source'> {
  readonly id: string | undefined
  readonly isGood: boolean
}

export interface GoodResource {
  readonly resource: RuleResource
  readonly document: string
}

export class RuleSource {
  readonly name: string
  readonly #scope: HostScope
  /** By id: what is in force. */
  good: ReadonlyMap<string, GoodResource> = new Map()
  drafts: readonly StatusDraft[] = []

  constructor(name: string, scope: HostScope) {
    this.name = name
    this.#scope = scope
  }

  replace(documents: readonly RuleDocument[]): void {
    const pass = new ReplacePass(this.good, this.#scope)
    for (const document of documents) pass.read(document)
    this.good = pass.good
    this.drafts = pass.drafts
  }

  /** A version that was good before this process started; the next `replace` decides what stays. */
  restore(document: string, text: string): void {
    const good = new Map(this.good)
    for (const yaml of readYamlResources(text).resources) {
      const { id, resource } = readResource(yaml, this.#scope)
      if (id !== undefined && resource !== undefined) good.set(id, { resource, document })
    }
    this.good = good
  }
}

class ReplacePass {
  readonly good = new Map<string, GoodResource>()
  readonly drafts: StatusDraft[] = []
  readonly #former: ReadonlyMap<string, GoodResource>
  readonly #scope: HostScope
  readonly #places = new Map<string, string>()

  constructor(former: ReadonlyMap<string, GoodResource>, scope: HostScope) {
    this.#former = former
    this.#scope = scope
  }

  read(document: RuleDocument): void {
    if (document.text === undefined) {
      const message = document.problem ?? 'cannot be read'
      this.#reject(document.name, emptyRead, [{ path: '', line: 1, column: 1, message }])
      return
    }
    const { resources, problems } = readYamlResources(document.text)
    if (problems.length > 0) this.#reject(document.name, emptyRead, problems)
    const reads = resources.map((yaml) => readResource(yaml, this.#scope))
    for (const read of reads) this.#take(document.name, read)
  }

  #take(document: string, read: ReadResource): void {
    const place = `${document}:${read.line}`
    const former = read.id === undefined ? undefined : this.#places.get(read.id)
    if (former !== undefined) {
      const message = `${read.kind} ${read.namespace}/${read.name} is defined at ${former} already; this one is not used`
      const problem = { path: 'metadata.name', line: read.line, column: 1, message }
      this.drafts.push(draftOf(document, read, [problem, ...read.problems], false))
      return
    }
    if (read.id !== undefined) this.#places.set(read.id, place)
    if (read.resource === undefined || read.id === undefined) {
      this.#reject(document, read, read.problems)
      return
    }
    this.good.set(read.id, { resource: read.resource, document })
    this.drafts.push({ ...draftOf(document, read, [], true), isGood: true })
  }

  /**
   * With an id: its last good version stays. Without one, nobody knows which resource is meant: everything that this document had before and has not named now
   * stays, since a broken line must not delete a rule.
   */
  #reject(document: string, read: ReadResource, problems: readonly RuleProblem[]): void {
    let isInForce = false
    for (const [id, good] of this.#former) {
      const isMeant = read.id === undefined ? good.document === document : id === read.id
      if (!isMeant || this.good.has(id)) continue
      this.good.set(id, good)
      isInForce = true
    }
    this.drafts.push(draftOf(document, read, problems, isInForce))
  }
}

const emptyRead: ReadResource = {
  line: 1,
  kind: '',
  namespace: '',
  name: '',
  id: undefined,
  problems: [],
  resource: undefined,
}

function draftOf(
  document: string,
  read: ReadResource,
  problems: readonly RuleProblem[],
  inForce: boolean,
): StatusDraft {
  const { line, kind, namespace, name, id } = read
  return { document, line, kind, namespace, name, id, problems, inForce, isGood: false }
}
