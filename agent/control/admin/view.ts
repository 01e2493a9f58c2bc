/** What pages may look at and do: a part of control, named member by member. */
import type { Control } from '../control.ts'

type Core = Control['core']
type Host = Control['host']

export interface AdminView extends Pick<
  Control,
  'certificateProblems' | 'config' | 'problems' | 'restartNeeded' | 'isLeading' | 'reload'
> {
  readonly deps: Pick<Control['deps'], 'adapters' | 'clock' | 'generation' | 'log'> & {
    readonly rules: Pick<Control['deps']['rules'], 'guardsCalls' | 'inForce' | 'statuses'>
  }
  readonly state: Pick<Control['state'], 'changed' | 'flush' | 'problems'>
  readonly timeline: Pick<Control['timeline'], 'add' | 'query'>
  readonly core: Pick<Core, 'knownNames'> & {
    readonly certificates: Pick<Core['certificates'], 'all'>
    readonly store: Pick<
      Core['store'],
      | 'allListeners'
      | 'allServices'
      | 'counts'
      | 'listenerNames'
      | 'nameOf'
      | 'service'
      | 'version'
      | 'virtualHost'
      | 'whole'
    >
    readonly publisher: Pick<Core['publisher'], 'ask' | 'states'>
    readonly directory: Pick<Core['directory'], 'heldBack'>
    readonly names: Pick<Core['names'], 'ask'>
  }
  readonly host: {
    readonly identities: Pick<Host['identities'], 'view'>
    readonly listeners: Pick<Host['listeners'], 'portRows'>
    readonly readiness: Pick<Host['readiness'], 'isTried' | 'listenerProblem' | 'listenerState' | 'pending'>
    readonly told: Pick<Host['told'], 'all' | 'put' | 'remove'>
    readonly registrar: Pick<Host['registrar'], 'get' | 'views' | 'applications'>
    readonly applications: Pick<Host['applications'], 'problemOf' | 'put' | 'remove'>
  }
}
