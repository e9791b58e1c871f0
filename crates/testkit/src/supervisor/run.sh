# Runs a program for a test and ends it when the test's end of a pipe closes, whatever closed it.
#
# stdin   the pipe: each line names a signal for the program; its end means KILL for the whole process group
# stdout  one line: the program's process id
# $1      file that the program's output is appended to
# $2...   the program and its arguments
#
# The caller starts this shell as the leader of a process group of its own, so the group is the shell, the program and
# whatever the program starts.
log=$1
shift
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
child=$!
echo "$child"
exec >/dev/null 2>&1
{
    while read -r signal; do kill -s "$signal" "$child"; done
    kill -s KILL "$child"
    # The shell below reaps the program and reports it; only then goes the group, and with it what is left.
    turn=0
    while kill -s 0 "$child" && [ "$turn" -lt 100 ]; do
        turn=$((turn + 1))
        sleep 0.02
    done
    kill -s KILL -- "-$$"
} <&3 &
exec 3<&-
# The reader stays after the program ended: it clears what the program left behind.
wait "$child"
