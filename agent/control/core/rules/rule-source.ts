/** The resources of one source: the newest good version of each, and a status for each that was read. */
import { isLongYaml } from '../../../../contracts/yaml-bounds.ts'
import { eachResource } from './resource-list.ts'
import type { ReadResource, RuleResource } from './rule-resource.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleProblem, RuleStatus } from '../../../../contracts/rule-status.ts'
import type { RuleDocument } from './types.ts'
import type { ReadGuard } from './read-guard.ts'
import type { YamlRead } from './yaml-in-thread.ts'
import { eachYamlResource, readYamlResources, yamlTextProblem } from './yaml-documents.ts'

/** Reads a long text beside the loop. */
export type ReadFar = (text: string) => Promise<readonly YamlRead[]>

/** What a status says before it is known who decides about the hosts. */
export interface StatusDraft extends Omit<RuleStatus, 'state' | 'source'> {
  readonly id: string | undefined
  readonly isGood: boolean
}

export interface GoodResource {
  readonly resource: RuleResource
  readonly document: string
}

/** What a document text holds; the same text is read once. */
interface ReadDocument {
  readonly text: string
  readonly reads: readonly ReadResource[]
  readonly problems: readonly RuleProblem[]
}

export class RuleSource {
  readonly name: string
  private readonly scope: HostScope
  private readonly guard: ReadGuard
  private readonly readFar: ReadFar | undefined
  private documents: ReadonlyMap<string, ReadDocument> = new Map()
  /** Read ahead of the next `replace`. */
  private ahead: ReadonlyMap<string, ReadDocument> = new Map()
  /** By id: what is in force. */
  good: ReadonlyMap<string, GoodResource> = new Map()
  drafts: readonly StatusDraft[] = []
  /** What is in force is of the last run: nobody has heard of the documents yet. */
  isRemembered = false

  constructor(name: string, scope: HostScope, guard: ReadGuard, readFar?: ReadFar) {
    this.name = name
    this.scope = scope
    this.guard = guard
    this.readFar = readFar
  }

  /** Documents whose text is not known yet. */
  news(documents: readonly RuleDocument[]): { readonly name: string; readonly text: string }[] {
    return documents.flatMap(({ name, text }) =>
      text === undefined || this.known(name, text) !== undefined ? [] : [{ name, text }],
    )
  }

  /**
   * Reads what the next `replace` will need, long texts beside the loop, resource by resource, and lets others have
   * their `turn` in between.
   */
  async readAhead(documents: readonly RuleDocument[], turn: () => Promise<void>): Promise<void> {
    const ahead = new Map<string, ReadDocument>()
    for (const { name, text } of this.news(documents)) {
      const problem = this.refusal(text)
      const problems = problem === undefined ? [] : [problem]
      const reads: ReadResource[] = []
      if (problem === undefined) {
        const far = this.readFar !== undefined && isLongYaml(text) ? await this.readFar(text) : undefined
        for (const read of far ?? eachYamlResource(text)) {
          if ('problem' in read) problems.push(read.problem)
          else
            for (const one of eachResource(read, this.scope)) {
              reads.push(one)
              await turn()
            }
        }
      }
      ahead.set(name, { text, problems, reads: problems.length > 0 ? [] : reads })
    }
    this.ahead = ahead
  }

  replace(documents: readonly RuleDocument[]): void {
    const pass = new ReplacePass(this.good)
    const read = new Map<string, ReadDocument>()
    for (const { name, text, problem } of documents) {
      if (text === undefined) pass.cannotRead(name, problem ?? 'cannot be read')
      else {
        const document = this.known(name, text) ?? this.read(text)
        read.set(name, document)
        pass.take(name, document)
      }
    }
    this.documents = read
    this.ahead = new Map()
    this.good = pass.good
    this.drafts = pass.drafts
    this.isRemembered = false
  }

  /** A version that was good before this process started; the next `replace` decides what stays. */
  restore(document: string, text: string): void {
    if (this.guard.setAside(text) !== undefined) return
    const good = new Map(this.good)
    const drafts = [...this.drafts]
    for (const yaml of readYamlResources(text).resources) {
      for (const read of eachResource(yaml, this.scope)) {
        const { id, resource } = read
        if (id === undefined || resource === undefined) continue
        good.set(id, { resource, document })
        drafts.push({ ...draftOf(document, read, [], true), isGood: true })
      }
    }
    this.good = good
    this.drafts = drafts
    this.isRemembered = true
  }

  private known(name: string, text: string): ReadDocument | undefined {
    return [this.documents.get(name), this.ahead.get(name)].find((one) => one?.text === text)
  }

  private refusal(text: string): RuleProblem | undefined {
    const reason = this.guard.setAside(text)
    return reason === undefined ? yamlTextProblem(text) : { path: '', line: 1, column: 1, message: reason }
  }

  private read(text: string): ReadDocument {
    const problem = this.refusal(text)
    if (problem !== undefined) return { text, problems: [problem], reads: [] }
    const { resources, problems } = readYamlResources(text)
    return { text, problems, reads: resources.flatMap((yaml) => [...eachResource(yaml, this.scope)]) }
  }
}

class ReplacePass {
  readonly good = new Map<string, GoodResource>()
  readonly drafts: StatusDraft[] = []
  private readonly former: ReadonlyMap<string, GoodResource>
  private readonly places = new Map<string, string>()
  /** Ids that were in force, by the document that they came from. */
  private readonly formerByDocument = new Map<string, string[]>()

  constructor(former: ReadonlyMap<string, GoodResource>) {
    this.former = former
    for (const [id, { document }] of former) {
      const ids = this.formerByDocument.get(document)
      if (ids === undefined) this.formerByDocument.set(document, [id])
      else ids.push(id)
    }
  }

  cannotRead(document: string, message: string): void {
    this.reject(document, emptyRead, [{ path: '', line: 1, column: 1, message }])
  }

  take(name: string, { reads, problems }: ReadDocument): void {
    if (problems.length > 0) this.reject(name, emptyRead, problems)
    for (const read of reads) this.takeOne(name, read)
  }

  private takeOne(document: string, read: ReadResource): void {
    const place = `${document}:${read.line}`
    const former = read.id === undefined ? undefined : this.places.get(read.id)
    if (former !== undefined) {
      const message = `${read.kind} ${read.namespace}/${read.name} is defined at ${former} already; this one is not used`
      const problem = { path: 'metadata.name', line: read.line, column: 1, message }
      this.drafts.push(draftOf(document, read, [problem, ...read.problems], false))
      return
    }
    if (read.id !== undefined) this.places.set(read.id, place)
    if (read.resource === undefined || read.id === undefined) {
      this.reject(document, read, read.problems)
      return
    }
    this.good.set(read.id, { resource: read.resource, document })
    this.drafts.push({ ...draftOf(document, read, [], true), isGood: true })
  }

  /**
   * With an id: its last good version stays. Without one, nobody knows which resource is meant: everything that this
   * document had before and has not named now stays, since a broken line must not delete a rule.
   */
  private reject(document: string, read: ReadResource, problems: readonly RuleProblem[]): void {
    const meant = read.id === undefined ? (this.formerByDocument.get(document) ?? []) : [read.id]
    let isInForce = false
    for (const id of meant) {
      const former = this.former.get(id)
      if (former === undefined || this.good.has(id)) continue
      this.good.set(id, former)
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
