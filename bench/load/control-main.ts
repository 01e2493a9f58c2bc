/**
 * Control with many services in a registry in memory.
 *
 * Usage: node control-main.js CONFIG SERVICES FIRST_PORT SECOND_PORT. For each number N on standard input it makes the
 * Nth change and answers with a line: when the registry said so, in nanoseconds (monotonic, comparable between
 * processes).
 */
import { createInterface } from 'node:readline'
import { changedService, endpointsOf, isSecondAfter, nameOf } from '../many-services.ts'
import { startMemoryControl } from './memory-control.ts'

const [configFile = '', ...numbers] = process.argv.slice(2)
const [services = 0, firstPort = 0, secondPort = 0] = numbers.map(Number)
const indexes = new Map(Array.from({ length: services }, (_value, index) => [nameOf(index), index]))

const { say } = await startMemoryControl(configFile, (name) => {
  const index = indexes.get(name)
  return index === undefined ? undefined : endpointsOf(index, firstPort)
})

for await (const line of createInterface(process.stdin)) {
  const nth = Number(line)
  const index = changedService(nth, services)
  const endpoints = endpointsOf(index, isSecondAfter(nth, services) ? secondPort : firstPort)
  const heardAt = process.hrtime.bigint()
  say(nameOf(index), endpoints)
  console.log(String(heardAt))
}
