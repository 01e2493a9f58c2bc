import { expect } from 'chai'

import { noFilterCounts } from '../../../../../agent/worker/filters/filter-counts.ts'
import { ask } from '../../../../../agent/worker/filters/filter.ts'
import { filterTable } from '../../../../../agent/worker/filters/table.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import { VerdictCounts } from '../../../../../agent/worker/filters/verdict-counts.ts'
import { MeshState } from '../../../../../agent/worker/mesh/mesh-state.ts'
import type { MeshStateDeps } from '../../../../../agent/worker/mesh/mesh-state.ts'
import { ownVirtualHost } from '../../../../../agent/worker/route/own-host.ts'
import { RouteIds } from '../../../../../agent/worker/route/route-ids.ts'
import { matchRoute } from '../../../../../agent/worker/route/virtual-host.ts'
import { probeRequest } from '../../../../../contracts/handoff.ts'
import { context, request } from '../../../../support/routing.ts'
import { snapshotOf } from '../../../../support/worker/snapshots.ts'

describe('the virtual host of the host itself', () => {
  const counts = noFilterCounts()
  const verdicts = new VerdictCounts(allFilterKinds())
  const filters = filterTable(allFilterKinds(), counts, verdicts)

  it('answers the probe with 200 and an empty body, and has no other route', () => {
    const host = ownVirtualHost(new RouteIds(), filters)
    const probe = request({ path: probeRequest.path })
    const route = matchRoute(host, probe)!
    const verdict = ask(route.filters[0]!, context(probe))
    expect(verdict).to.include({ kind: 'answer', status: 200, code: undefined })
    expect([verdicts.samples(), counts.directResponses], 'nobody counts it').to.deep.equal([[], 0])
    expect(matchRoute(host, request({ path: `${probeRequest.path}/more` }))).to.equal(undefined)
  })

  it('is there before the first snapshot and after each one, which cannot take its name', () => {
    const kinds = { prepare() {}, canSpeak: () => true }
    const deps = { filters, random: Math.random, now: () => 0, limitShare: 1, kinds } as unknown as MeshStateDeps
    const events = { onListeners() {}, onSettings() {}, onNames() {} }
    const state = new MeshState(deps, events)
    expect(state.findAuthority(probeRequest.host)?.isOwn).to.equal(true)
    const snapshot = snapshotOf({ services: [], listen: {} })
    const usurper = { name: probeRequest.host, domains: [probeRequest.host], http: [], tcp: [] }
    state.load({ ...snapshot, virtualHosts: { ...snapshot.virtualHosts, [probeRequest.host]: usurper } })
    expect(state.findAuthority(probeRequest.host)?.isOwn).to.equal(true)
    state.load({ ...snapshot, version: snapshot.version + 1 })
    expect(state.names.host(probeRequest.host)?.isOwn).to.equal(true)
  })
})
