/**
 * Rules from a registry's configuration store: watches the mesh's document and those of the services in use, and
 * reports all of them after each change. It judges nothing: the rule store keeps the last good version of what is
 * broken, and of what has not been read yet.
 */
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { ConfigSource, Subscription } from '../../../../contracts/registry-adapter.ts'
import { meshRulesId, serviceRulesId } from '../../../../contracts/rule-documents.ts'
import type { RuleDocument } from '../rules/types.ts'

export interface RegistryRulesDeps {
  readonly source: ConfigSource
  /** Group of the rule documents. */
  readonly group: string
  /** All documents of this source, whole; called once per turn of the event loop in which something changed. */
  readonly onDocuments: (documents: readonly RuleDocument[]) => void
}

/** Documents watched at the same time; services beyond it have no rules from here, and `refused` counts them. */
const maxRuleDocuments = 10_000
/** Nacos itself takes 100 KiB by default; far above it a document is not one of ours. */
export const maxRuleDocumentBytes = 1024 * 1024

interface Watched {
  readonly subscription: Subscription
  /** undefined = not answered yet, null = there is no such document. */
  content: string | null | undefined
}

export class RegistryRules {
  private readonly deps: RegistryRulesDeps
  private readonly watched = new Map<string, Watched>()
  private isReporting = false
  private isClosed = false
  /** Services in use whose documents are not watched because of `maxRuleDocuments`. */
  refused = 0

  constructor(deps: RegistryRulesDeps) {
    this.deps = deps
    this.watch(meshRulesId)
  }

  /** Services in use now, whole: what is no longer in the list is let go. */
  want(services: Iterable<Pick<ServiceName, 'group' | 'name'>>): void {
    if (this.isClosed) return
    const wanted = new Set<string>([meshRulesId])
    this.refused = 0
    for (const service of services) {
      if (wanted.size < maxRuleDocuments) wanted.add(serviceRulesId(service))
      else this.refused++
    }
    for (const [dataId, one] of this.watched) {
      if (wanted.has(dataId)) continue
      one.subscription.unsubscribe()
      this.watched.delete(dataId)
      if (one.content !== null) this.reportSoon()
    }
    for (const dataId of wanted) if (!this.watched.has(dataId)) this.watch(dataId)
  }

  close(): void {
    this.isClosed = true
    for (const one of this.watched.values()) one.subscription.unsubscribe()
    this.watched.clear()
  }

  private watch(dataId: string): void {
    const one: Watched = {
      content: undefined,
      subscription: this.deps.source.watch(this.deps.group, dataId, (document) => {
        if (this.watched.get(dataId) !== one) return
        one.content = document?.content ?? null
        this.reportSoon()
      }),
    }
    this.watched.set(dataId, one)
  }

  private reportSoon(): void {
    if (this.isReporting) return
    this.isReporting = true
    setImmediate(() => {
      this.isReporting = false
      if (!this.isClosed) this.deps.onDocuments(this.documents())
    })
  }

  private documents(): RuleDocument[] {
    const documents: RuleDocument[] = []
    for (const [name, { content }] of this.watched) {
      if (content === null) continue
      if (content === undefined)
        documents.push({ name, text: undefined, problem: 'not read from the registry yet', isAwaited: true })
      else if (Buffer.byteLength(content) > maxRuleDocumentBytes) {
        const problem = `found ${Buffer.byteLength(content)} bytes, allowed ${maxRuleDocumentBytes}`
        documents.push({ name, text: undefined, problem })
      } else documents.push({ name, text: content })
    }
    return documents.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
}
