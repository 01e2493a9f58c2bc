import type { HeaderEdits } from './fields.ts'
import type { RequestView } from './request-view.ts'
import { ViewBehind } from './view-behind.ts'

/** A request as filters have edited it: what an application will read, so what rules about fields are judged by. */
export function editedView(request: RequestView, edits: HeaderEdits | null): RequestView {
  return edits === null ? request : new EditedView(request, edits)
}

class EditedView extends ViewBehind<RequestView> {
  private readonly edits: HeaderEdits

  constructor(base: RequestView, edits: HeaderEdits) {
    super(base)
    this.edits = edits
  }

  header(name: string): string | undefined {
    return this.sent(name) ? (this.base.header(name) ?? this.added(name)[0]) : this.added(name)[0]
  }

  headerValues(name: string): string | undefined {
    const sent = this.sent(name) ? this.base.headerValues(name) : undefined
    const added = this.added(name)
    if (added.length === 0) return sent
    return (sent === undefined ? added : [sent, ...added]).join(',')
  }

  private sent(name: string): boolean {
    return !this.edits.drop.has(name)
  }

  private added(name: string): string[] {
    return this.edits.fields.flatMap(([field, value]) => (field.toLowerCase() === name ? [value] : []))
  }
}
