/**
 * Lets only members of a team in, tells the application which, and the caller how long it took.
 *
 * @type {import('@hostmesh/sdk').MakeFilter}
 */
export default function make({ teams = [] }, host) {
  host.log(`lets in: ${teams.join(', ')}`)
  return {
    onRequestHead(request) {
      const team = request.header('x-team') ?? ''
      if (!teams.includes(team)) return { status: 403, body: `no team ${team}\n` }
      request.setHeader('x-known-team', team)
      request.note(`team ${team}`)
      request.data = performance.now()
    },
    onReplyHead(reply, request) {
      if (request.data !== undefined) reply.setHeader('x-took', `${Math.round(performance.now() - request.data)} ms`)
    },
  }
}
