/** A control without registries, for tests of the watchdog. `--behave refuse-config` ends as a control with a bad configuration does. */
import { parseArgs } from 'node:util'
import { connectContinuity } from '../../../agent/control/continuity/index.ts'

const { values } = parseArgs({
  options: {
    'run-dir': { type: 'string' },
    generation: { type: 'string' },
    behave: { type: 'string', default: 'well' },
  },
})
if (values.behave === 'refuse-config') {
  process.stderr.write('E_CONFIG_INVALID  agent.yaml:3: outbound.htp: unknown key\n')
  process.exit(2)
}
const say = (message: string): void =>
  void process.stdout.write(`${JSON.stringify({ part: 'control', generation: values.generation, message })}\n`)
const link = await connectContinuity({
  runDir: values['run-dir']!,
  generation: Number(values.generation),
  log: (_level, message) => say(message),
  onLead: () => say('leads'),
  onRetire: () => say('retires'),
  onStop: () => process.exit(0),
})
link.ready()
