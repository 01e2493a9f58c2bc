import { expect } from 'chai'
import { askWatchdog, unreachable } from '../../../cli/watchdog-client.ts'

describe('a watchdog that cannot be asked', () => {
  it('is told apart: it does not run, or this user may not ask it', async () => {
    const nobody = await askWatchdog('/nowhere', { type: 'status' }, 1000).catch((error: Error) => error)
    expect(nobody).to.include({ code: 'E_ADMIN_UNREACHABLE' })
    expect((nobody as Error).message).to.equal('/nowhere/watchdog.sock: no watchdog answers; is it running?')
    const closed = unreachable('/run/hostmesh/watchdog.sock', Object.assign(new Error('connect'), { code: 'EACCES' }))
    expect(closed.message).to.equal("/run/hostmesh/watchdog.sock: only root and the agent's own user may open it")
  })
})
