/** The process of one registry: answers what `apart.ts` asks. */
import { openRegistry } from '../../test/support/registries/every-kind.ts'
import type { RunningRegistry } from '../../test/support/registries/running-registry.ts'
import type { FromRegistry, Opened, ToRegistry } from './apart.ts'

let registry: RunningRegistry

process.on('message', (message) => {
  const question = message as ToRegistry
  const answer = (said: Pick<FromRegistry, 'value' | 'failure'>): void =>
    void process.send!({ ...said, id: question.id, at: Number(process.hrtime.bigint()) / 1e6 } satisfies FromRegistry)
  take(question).then(
    (value) => answer({ value }),
    (error: unknown) => answer({ failure: error instanceof Error ? error.message : String(error) }),
  )
})

async function take(question: ToRegistry): Promise<unknown> {
  switch (question.type) {
    case 'open': {
      registry = await openRegistry(question.kind, question.options)
      const { isPushing, name, port, section, what } = registry
      return { isPushing, name, port, section, what } satisfies Opened
    }
    case 'put':
      return registry.put(question.service, question.instance)
    case 'section':
      return registry.sectionBy(question.port)
    case 'kill':
    case 'restart':
    case 'stop':
      return registry[question.type]()
  }
}
