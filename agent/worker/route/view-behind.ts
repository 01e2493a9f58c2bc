import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { RequestView } from './request-view.ts'

/** Another reading of a request: everything as it is there, but what a subclass says otherwise. */
export abstract class ViewBehind<View extends RequestView> implements RequestView {
  protected readonly base: View

  constructor(base: View) {
    this.base = base
  }

  get method(): string {
    return this.base.method
  }
  get scheme(): 'http' | 'https' {
    return this.base.scheme
  }
  get authority(): string {
    return this.base.authority
  }
  get path(): string {
    return this.base.path
  }
  get query(): string {
    return this.base.query
  }
  get localPort(): number {
    return this.base.localPort
  }
  get namedPort(): number {
    return this.base.namedPort
  }
  get sourceAddress(): string {
    return this.base.sourceAddress
  }
  get source(): SourceAppSpec | undefined {
    return this.base.source
  }
  get isNamedByHost(): boolean {
    return this.base.isNamedByHost
  }

  abstract header(name: string): string | undefined
  abstract headerValues(name: string): string | undefined
}
