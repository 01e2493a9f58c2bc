/** All pages, with the list of them. */
import type { AdminContext } from './context.ts'
import { columns, textReply, type AdminPage } from './http.ts'
import { changePages } from './pages-change.ts'
import { eventPages } from './pages-events.ts'
import { discoveryPage } from './page-discovery.ts'
import { consoleDataPages } from './console/pages.ts'
import { outboundPages } from './pages-outbound.ts'
import { livePages } from './pages-live.ts'
import { statePages } from './pages-state.ts'
import { streamPages } from './pages-streams.ts'
import { trafficPages } from './pages-traffic.ts'

export function adminPages(context: AdminContext): AdminPage[] {
  const pages = [
    ...statePages(context),
    ...trafficPages(context),
    discoveryPage(context),
    ...livePages(context),
    ...streamPages(context),
    ...eventPages(context),
    ...consoleDataPages(context),
    ...changePages(context),
    ...outboundPages(context),
    ...context.morePages,
  ]
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
