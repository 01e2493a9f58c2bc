/** All pages, with the list of them. */
import type { AdminContext } from './context.ts'
import { columns, textReply, type AdminPage } from './http.ts'
import { changePages } from './pages-change.ts'
import { livePages } from './pages-live.ts'
import { statePages } from './pages-state.ts'
import { trafficPages } from './pages-traffic.ts'

export function adminPages(context: AdminContext): AdminPage[] {
  const pages = [...statePages(context), ...trafficPages(context), ...livePages(context), ...changePages(context)]
  const list = (): string =>
    columns(pages.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map((page) => [page.path, page.method, page.help]))
  const help = ['/', '/help'].map((path): AdminPage => ({
    path,
    method: 'GET',
    help: 'this list',
    answer: () => textReply(list()),
  }))
  return [...help, ...pages]
}
