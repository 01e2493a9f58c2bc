import { expect } from 'chai'
import { MeshError } from '../../../../contracts/errors.ts'
import type { OperatorReply, OperatorRequest, Release, RestartReport } from '../../../../contracts/handoff.ts'
import { OperatorDesk } from '../../../../watchdog/handoff/operator.ts'
import type { OperatorDeps } from '../../../../watchdog/handoff/operator.ts'
import type { Replacement } from '../../../../watchdog/handoff/replacement.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'

const releaseOf = (name: string): Release => ({ name, control: ['/bin/true'], worker: ['/bin/true'], workers: 1 })

describe('an operator who tries a release with a canary', () => {
  const order = { forMs: 60_000, maxFailedPercent: 1, maxSlowerPercent: 50 }
  const canary: OperatorRequest = { type: 'canary', release: releaseOf('v2'), order, wait: 'serving' }
  let ask: (request: OperatorRequest) => Promise<OperatorReply>
  let logged: string[]

  /** One at a time, as `Replacement` has it; a canary that is taken back is its outcome. */
  beforeEach(() => {
    const trial = Promise.withResolvers<RestartReport>()
    const tree = { current: { release: releaseOf('v1') }, next: undefined as object | undefined, canary: undefined }
    const replace = async (): Promise<RestartReport> => {
      if (tree.next !== undefined) throw new MeshError('E_HANDOFF_REFUSED', 'generation 2 is being started')
      const takeBack = (): void => trial.resolve({ outcome: 'failed', to: 2 } as RestartReport)
      Object.assign(tree, { next: {}, canary: { takeBack } })
      return trial.promise
    }
    logged = []
    const log = (_level: string, message: string): void => void logged.push(message)
    const deps = { tree, replacement: { replace } as unknown as Replacement, log }
    const desk = new OperatorDesk(deps as unknown as OperatorDeps)
    ask = (request) => new Promise((resolve) => desk.answer(request, resolve))
  })

  it('takes it back with a rollback, also when another canary was refused meanwhile', async () => {
    const first = ask(canary)
    expect(await ask(canary)).to.include({ type: 'refused', code: 'E_HANDOFF_REFUSED' })
    const back = await ask({ type: 'rollback', wait: 'serving' })
    expect(back).to.deep.equal({ type: 'outcome', report: { outcome: 'failed', to: 2 } })
    expect(await first).to.deep.equal(back)
  })

  it('finds every refusal in the log, also one of a signal, which nobody answers', async () => {
    void ask(canary)
    await ask({ type: 'upgrade', release: releaseOf('v3'), wait: 'serving' })
    expect(logged).to.include('upgrade refused: E_HANDOFF_REFUSED  generation 2 is being started')
  })
})

describe('an operator who asks while nothing serves', () => {
  it('is refused, also by a signal, which is no call that could throw', async () => {
    const desk = new OperatorDesk({ tree: new ProcessTree(), replacement: {} } as unknown as OperatorDeps)
    const asked = desk.reload('serving')
    const refusal = await asked.catch((error: unknown) => error)
    expect(refusal).to.be.instanceOf(MeshError).and.to.include({ code: 'E_HANDOFF_REFUSED' })
  })
})
