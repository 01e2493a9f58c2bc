/**
 * What somebody has written and not saved, by rule: it outlives a page that was left, another language and a sign-in in
 * the middle, and ends with the tab, which asks first.
 */

export interface Draft {
  readonly text: string
  /** What it was made from. */
  readonly base: { readonly text: string; readonly revision: string | undefined }
}

/** The one that was not touched for longest goes first. */
const most = 20
const drafts = new Map<string, Draft>()

export function draftOf(rule: string): Draft | undefined {
  return drafts.get(rule)
}

/** A text that is what it was made from is no draft. */
export function keepDraft(rule: string, draft: Draft): void {
  drafts.delete(rule)
  if (draft.text === draft.base.text) return
  drafts.set(rule, draft)
  for (const oldest of drafts.keys()) {
    if (drafts.size <= most) break
    drafts.delete(oldest)
  }
}

export function dropDraft(rule: string): void {
  drafts.delete(rule)
}

export function dropDrafts(): void {
  drafts.clear()
}

export function hasDrafts(): boolean {
  return drafts.size > 0
}
